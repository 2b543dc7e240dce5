/** Colours that people with any colour vision can tell apart (Okabe and Ito 2008), on light and dark ground. */
export const palette = {
  /** Speaks for a defect. */
  suspicious: '#d55e00',
  /** Speaks for a good part. */
  good: '#0072b2',
  neutral: '#8a8f98',
  ink: '#1c2128',
  faintInk: '#59636e',
  line: '#e3e6ea',
  paper: '#ffffff',
} as const;
