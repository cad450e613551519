import type { AuthClient, GoogleAuth } from 'google-auth-library'
import { VarveError } from '../../model/errors.ts'
import type { GcsAccess } from '../../model/watch.ts'
import { checkKeyFile } from './key-file.ts'

const IAM = 'https://iamcredentials.googleapis.com'
// The token that asks for another one may do nothing else.
const IAM_SCOPE = 'https://www.googleapis.com/auth/iam'
// As long as may be had without a policy of the organisation that allows longer ones.
const LASTS_S = 3_600
// An IAM that does not answer must not hold a look for ever.
const ANSWER_MOST_MS = 30_000

/**
 * Who asks Google, for what `scope` allows: whom the key file that the access names or the application-default credentials stand for, or the service account that these
 * impersonate. Tokens are renewed as they expire. Asks nothing yet; rejects where there are no credentials. `iam` is where accounts are impersonated.
 */
export async function identityOf(auth: GoogleAuth, { credentialsFile, impersonate }: GcsAccess, scope: string, iam = IAM): Promise<AuthClient> {
  if (credentialsFile !== undefined) {
    await checkKeyFile(credentialsFile)
    // `keyFilename` would be read the same way, with a warning on stderr at each opening.
    await auth._getApplicationCredentialsFromFilePath(credentialsFile)
  }
  const own = await auth.getClient()
  if ('scopes' in own) own.scopes = [impersonate === undefined ? scope : IAM_SCOPE]
  return impersonate === undefined ? own : impersonated(own, impersonate, scope, iam)
}

/** Not the library's own `Impersonated`: that warns on stderr each time that one is made. */
async function impersonated(own: AuthClient, account: string, scope: string, iam: string): Promise<AuthClient> {
  const { OAuth2Client } = await import('google-auth-library')
  const client = new OAuth2Client()
  client.refreshHandler = async () => {
    const url = `${iam}/v1/projects/-/serviceAccounts/${account}:generateAccessToken`
    try {
      const { data } = await own.request<{ accessToken?: string; expireTime?: string }>({ url, method: 'POST', data: { scope: [scope], lifetime: `${LASTS_S}s` }, timeout: ANSWER_MOST_MS })
      return { access_token: data.accessToken ?? '', expiry_date: Date.parse(data.expireTime ?? '') }
    } catch (error) {
      const { status, message } = error as { readonly status?: number; readonly message?: string }
      if (status !== 403 && status !== 404) throw error
      throw new VarveError('CREDENTIALS', `the service account ${account} cannot be impersonated (${status}: ${message})`, {
        cause: error, hint: 'allow iam.serviceAccounts.getAccessToken on it to the identity that Varve runs as (roles/iam.serviceAccountTokenCreator holds it), or correct gcs.impersonate',
      })
    }
  }
  return client
}
