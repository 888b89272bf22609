/** One thing that is wrong with a document, and its path in it. */
export interface DocumentProblem {
  path: string[];
  message: string;
}
