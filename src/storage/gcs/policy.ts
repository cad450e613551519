// The least that Google must allow. Source: the lists of permissions of Cloud Storage and Pub/Sub, and of the roles that hold them.
import type { Policy } from '../../model/probe.ts'
import type { Watch } from '../../model/watch.ts'

/** The roles that `watches` need at GCS and Pub/Sub, as commands; one policy for each identity. */
export function gcpPolicies(watches: readonly Watch[]): readonly Policy[] {
  const ours = watches.filter(({ locations, events }) => events?.kind === 'pubsub' || locations.some(({ scheme }) => scheme === 'gs'))
  return [...Map.groupBy(ours, ({ gcs }) => JSON.stringify([gcs.credentialsFile, gcs.impersonate])).values()].map((served) => {
    const { credentialsFile: file, impersonate } = (served[0] as Watch).gcs
    const own = `${file === undefined ? 'the identity that Varve runs as' : `the identity of ${file}`} (MEMBER)`
    const who = impersonate === undefined ? own : `${impersonate}, as whom ${own} asks`
    return { title: `Google roles for ${who}, needed by ${served.map(({ name }) => name).join(', ')}`, text: [...new Set(served.flatMap(commandsOf))].join('\n') }
  })
}

function commandsOf({ locations, events, gcs }: Watch): string[] {
  const { impersonate } = gcs
  const member = impersonate === undefined ? 'MEMBER' : `serviceAccount:${impersonate}`
  const buckets = locations.filter(({ scheme }) => scheme === 'gs').map(({ bucket }) => bucket)
  const [, project, name] = events?.kind === 'pubsub' ? (/^projects\/([^/]+)\/subscriptions\/([^/]+)$/.exec(events.subscription) ?? []) : []
  return [
    ...(impersonate === undefined ? [] : [`gcloud iam service-accounts add-iam-policy-binding ${impersonate} --member=MEMBER --role=roles/iam.serviceAccountTokenCreator  # iam.serviceAccounts.getAccessToken`]),
    ...buckets.map((bucket) => `gcloud storage buckets add-iam-policy-binding gs://${bucket} --member=${member} --role=roles/storage.objectViewer  # storage.objects.list, storage.objects.get`),
    ...buckets.map((bucket) => `gcloud storage buckets add-iam-policy-binding gs://${bucket} --member=${member} --role=roles/storage.legacyBucketReader  # storage.buckets.get, for what the audit foretells`),
    ...(name === undefined ? [] : [`gcloud pubsub subscriptions add-iam-policy-binding ${name} --project=${project} --member=${member} --role=roles/pubsub.subscriber  # pubsub.subscriptions.consume`]),
    ...(gcs.project === undefined ? [] : [`gcloud projects add-iam-policy-binding ${gcs.project} --member=${member} --role=roles/serviceusage.serviceUsageConsumer  # serviceusage.services.use`]),
  ]
}
