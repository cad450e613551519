import { readFile } from 'node:fs/promises'
import { describe, VarveError } from '../../model/errors.ts'

/** Resolves when the file that `gcs.credentials_file` names holds what may be credentials. Throws CREDENTIALS, without a word of what it holds. */
export async function checkKeyFile(file: string): Promise<void> {
  const refuse = (what: string, cause?: unknown): VarveError =>
    new VarveError('CREDENTIALS', `the credentials file ${file} ${what}`, { cause, hint: 'correct gcs.credentials_file: it names a JSON file of gcloud or the Cloud console' })
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw refuse(`cannot be read (${(error as NodeJS.ErrnoException).code ?? describe(error)})`, error)
  })
  let told: unknown
  try {
    told = JSON.parse(text)
  } catch {
    // What Node says of broken JSON quotes it.
    throw refuse('holds no JSON')
  }
  if (typeof (told as { readonly type?: unknown } | null)?.type !== 'string') throw refuse('holds no credentials: they have a "type"')
}
