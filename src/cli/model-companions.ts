/** Where `fit-table` leaves usual rows for a model and `attribute` looks for them. */
export const backgroundBeside = (model: string): string => `${model.replace(/\.onnx$/, '')}.background.csv`;
