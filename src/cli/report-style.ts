import { verbatim } from '../shared/markup.js';

/** What pages with tables and charts add to the style of the contact sheet. */
export const reportStyle = verbatim(`<style>
h2.section { margin: 28px 0 12px; font-size: 1.25rem; }
.sheet { margin-bottom: 16px; padding: 16px; background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 16px; margin-bottom: 16px; }
.columns .sheet { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { padding-bottom: 8px; text-align: left; font-weight: 600; }
th, td { padding: 4px 20px 4px 0; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--faint); font-weight: 400; font-size: 0.875rem; }
tbody th { font-weight: 400; }
td { font-weight: 600; }
td small { color: var(--faint); font-weight: 400; font-size: 0.8125rem; }
tbody tr { border-top: 1px solid var(--line); }
.chart { margin: 0; }
.chart img { display: block; width: 100%; max-width: 640px; height: auto; }
.remark, .note { margin-top: 8px; }
.panels { display: block; max-width: 100%; height: auto; }
@media (max-width: 640px) { th, td { padding-right: 12px; } }
</style>`);
