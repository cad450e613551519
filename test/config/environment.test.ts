import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { aliasTrouble, environment, findConfig, nameTrouble, parseCollection, readConfig } from '../../src/config.ts'

let folder: string
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'varve-config-')) })
afterAll(() => rmSync(folder, { recursive: true }))

test('an empty variable counts as unset', () => {
  const variables = { VARVE_CONFIG: '', NO_COLOR: '', AWS_ENDPOINT_URL_S3: '', AWS_ENDPOINT_URL: 'http://127.0.0.1:9000', LOG_LEVEL: '', CI: '' }
  expect(environment(variables)).toEqual({
    variables, logLevel: 'warn', ci: false, dumb: false, awsFiles: [join(homedir(), '.aws/credentials'), join(homedir(), '.aws/config')], s3Endpoint: 'http://127.0.0.1:9000', sqsEndpoint: 'http://127.0.0.1:9000',
  })
})

test('the shared AWS files are where the SDK looks for them, and a watch with a profile knows of them', async () => {
  const surroundings = environment({ AWS_SHARED_CREDENTIALS_FILE: '/a/credentials', AWS_CONFIG_FILE: '/b/config' })
  const file = join(folder, 'profile.yaml')
  writeFileSync(file, 'watch: [{ name: a, location: s3://b-1/, artifact: a/a, type: dataset, s3: { profile: data } }]')
  expect((await readConfig(file, surroundings)).watches[0]?.s3).toEqual({ profile: 'data', sharedFiles: ['/a/credentials', '/b/config'] })
})

test('the endpoint of S3 is the most special one that is set, without a slash at its end', () => {
  const all = { AWS_ENDPOINT_URL_S3: 'http://a/', AWS_S3_ENDPOINT_URL: 'http://b', AWS_ENDPOINT_URL: 'http://c', AWS_ENDPOINT_URL_SQS: 'http://d', AWS_ENDPOINT_URL_STS: 'http://e/' }
  expect(environment(all)).toMatchObject({ s3Endpoint: 'http://a', sqsEndpoint: 'http://d', stsEndpoint: 'http://e' })
  expect(environment({ AWS_ENDPOINT_URL_S3: 'http://u:pw@h:1/x/?k=secret' }).s3Endpoint).toBe('http://h:1/x')
  expect(environment({ ...all, AWS_ENDPOINT_URL_S3: '' }).s3Endpoint).toBe('http://b')
})

test('who asks for no colours gets none, whatever else asks for them', () => {
  expect(environment({ NO_COLOR: '1', FORCE_COLOR: '1' }).colours).toBe(false)
  expect(environment({ FORCE_COLOR: '1' }).colours).toBe(true)
  expect(environment({ FORCE_COLOR: '0' }).colours).toBe(false)
  expect(environment({}).colours).toBeUndefined()
})

test('a log level that is none is warn, and its case does not matter', () => {
  expect(environment({ LOG_LEVEL: 'DEBUG' }).logLevel).toBe('debug')
  expect(environment({ LOG_LEVEL: 'chatty' }).logLevel).toBe('warn')
})

test('the configuration is sought by --config, VARVE_CONFIG, ./varve.yaml, in this order', () => {
  const named = environment({ VARVE_CONFIG: 'b.yaml' })
  expect(findConfig('a.yaml', named, folder)).toBe(join(folder, 'a.yaml'))
  expect(findConfig(undefined, named, folder)).toBe(join(folder, 'b.yaml'))
  expect(findConfig(undefined, environment({}), folder)).not.toBe(join(folder, 'varve.yaml'))
  writeFileSync(join(folder, 'varve.yaml'), '')
  expect(findConfig(undefined, environment({}), folder)).toBe(join(folder, 'varve.yaml'))
})

test('an artifact is named by two or three legal names', () => {
  expect(parseCollection('vision/mnist', 'local')).toEqual({ entity: 'local', project: 'vision', collection: 'mnist' })
  expect(parseCollection('lab/vision/größe 2', 'local')).toEqual({ entity: 'lab', project: 'vision', collection: 'größe 2' })
  for (const wrong of ['mnist', 'a/b/c/d', '', '/', 'a/', '/b', 'a/b:v3', 'a/ b', 'a/b\n', `a/${'x'.repeat(129)}`])
    expect(() => parseCollection(wrong, 'local')).toThrow(expect.objectContaining({ code: 'USAGE', hint: expect.any(String) }))
})

test('latest and vN are no aliases to give by hand, nor is what an address could not hold', () => {
  for (const wrong of ['latest', 'v0', 'v12', '', 'a b', 'a/b', 'a:b', 'a\u0000', 'x'.repeat(129)])
    expect(aliasTrouble(wrong)).toEqual(expect.any(String))
  for (const right of ['prod', 'v1.2', 'vanilla', 'V3', 'best-é']) expect(aliasTrouble(right)).toBeUndefined()
  expect(nameTrouble('x'.repeat(128))).toBeUndefined()
})
