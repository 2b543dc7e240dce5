/** The recipe of profile `fast`. */
export const bankRows = 8000;
export const bankDims = 96;
export const settings = { folds: 5, thresholdFactor: 2, topFraction: 0.03, mapSigma: 4 };
