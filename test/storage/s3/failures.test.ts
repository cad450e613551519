import { expect, test } from '@jest/globals'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { awsFailure } from '../../../src/storage/s3/failures.ts'

test.each([
  [{ socketTimeout: 200 }], [{ requestTimeout: 200, throwOnRequestTimeout: true, socketTimeout: 0 }],
])('a time that ran out is told in words of Varve, and not of the SDK: %j', async (requestHandler) => {
  const sockets: { destroy(): void }[] = []
  const server = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const client = new S3Client({ endpoint: `http://127.0.0.1:${port}`, forcePathStyle: true, region: 'r', credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, maxAttempts: 1, requestHandler })
  const error: unknown = await client.send(new HeadObjectCommand({ Bucket: 'b', Key: 'k' })).catch((thrown: unknown) => thrown)
  expect(awsFailure(error, 's3://b/', 's3:GetObject')).toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: 's3://b/ does not answer (no answer within 0.2 s)' })
  client.destroy()
  for (const socket of sockets) socket.destroy()
  server.close()
  await once(server, 'close')
})

test('so is a connection that is not made', () => {
  const error = Object.assign(new Error('@smithy/node-http-handler - the request socket did not establish a connection with the server within the configured timeout of 5000 ms.'), { name: 'TimeoutError' })
  expect(awsFailure(error, 's3://b/', 's3:GetObject').message).toBe('s3://b/ does not answer (no connection within 5 s)')
})
