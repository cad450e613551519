/** `proof`: the pin of an object version at the row's own key whose bytes were read and are the row's, though nothing that a listing shows tells so. */
export const PROOFS = `
ALTER TABLE fate ADD COLUMN proof TEXT;
`
