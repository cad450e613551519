// Names of AWS resources, as policies and notifications write them.

/** The queue at `url`. `region` is for URLs that do not name theirs. */
export function arnOfQueue(url: string, region: string | undefined): string {
  const { host, pathname } = new URL(url)
  const [name, account] = pathname.split('/').filter((segment) => segment !== '').reverse()
  const named = regionOfQueue(host) ?? region ?? 'us-east-1'
  return `arn:${partitionOf(named)}:sqs:${named}:${/^\d+$/.test(account ?? '') ? account : '*'}:${name ?? '*'}`
}

/** The region that the host of a queue's URL names. */
export function regionOfQueue(host: string): string | undefined {
  const found = /^(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com/.exec(host)
  return found?.[1] ?? found?.[2]
}

/** True when `arn` names the queue at `url`. */
export function isQueue(arn: string, url: string): boolean {
  const [, account, name] = /:([^:]+):([^:]+)$/.exec(arnOfQueue(url, undefined)) ?? []
  return arn.endsWith(account === '*' ? `:${name}` : `:${account}:${name}`)
}

export function arnOfBucket(bucket: string, region: string | undefined): string {
  return `arn:${partitionOf(region)}:s3:::${bucket}`
}

function partitionOf(region: string | undefined): string {
  if (region?.startsWith('cn-') === true) return 'aws-cn'
  return region?.startsWith('us-gov-') === true ? 'aws-us-gov' : 'aws'
}
