import { expect, test } from '@jest/globals'
import type { LookupFunction } from 'node:net'
import { isPrivate, PrivateAddress, publicOnly } from '../../../src/storage/http/addresses.ts'

const PRIVATE = [
  '127.0.0.1', '127.255.255.255', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '169.254.0.1', '100.64.0.1', '100.127.255.255', '0.0.0.0', '0.1.2.3',
  '192.0.0.192', '198.18.0.1', '224.0.0.1', '255.255.255.255', '240.0.0.1',
  '::1', '::', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:a9fe:a9fe', '::ffff:10.1.2.3', 'fe80::1', 'fe80::1%eth0', 'febf::1', 'fec0::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1',
  '64:ff9b::10.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::1', '2002:7f00:1::', '2002:a9fe:a9fe::1', '2001::1', '100::1', '[::1]', '[fd00::1]',
]
const PUBLIC = [
  '1.1.1.1', '8.8.8.8', '100.63.255.255', '100.128.0.1', '172.15.0.1', '172.32.0.1', '169.253.0.1', '192.0.1.1', '192.167.0.1', '198.17.0.1', '198.20.0.1', '223.255.255.255', '11.0.0.1', '9.255.255.255', '126.0.0.1', '128.0.0.1',
  '2606:4700:4700::1111', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1', '2a00:1450:4001::1', '[2606:4700::1]',
]

test.each(PRIVATE)('%s is private', (address) => {
  expect(isPrivate(address)).toBe(true)
})

test.each(PUBLIC)('%s is public', (address) => {
  expect(isPrivate(address)).toBe(false)
})

test('a name is no address; how else a URL writes one does not matter', () => {
  expect(isPrivate('localhost')).toBe(false)
  for (const written of ['http://0x7f.1/', 'http://2130706433/', 'http://017700000001/', 'http://127.1/', 'http://①②⑦.⓪.⓪.①/', 'http://[::ffff:127.0.0.1]/', 'http://[0:0::1]/'])
    expect({ written, is: isPrivate(new URL(written).hostname) }).toEqual({ written, is: true })
})

function answering(...found: readonly string[]): LookupFunction {
  return (_, __, answer) => answer(null, found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })))
}

function looked(lookup: LookupFunction, all: boolean): Promise<unknown> {
  return new Promise((resolve) => publicOnly(lookup)('x.test', { all }, (error, address) => resolve(error ?? address)))
}

test('a look-up asks once, so that what is judged and what is connected to are one answer', async () => {
  let asked = 0
  const lookup: LookupFunction = (host, options, answer) => answering(asked++ === 0 ? '8.8.8.8' : '127.0.0.1')(host, options, answer)
  expect(await looked(lookup, true)).toEqual([{ address: '8.8.8.8', family: 4 }])
  expect(asked).toBe(1)
  expect(await looked(lookup, true)).toEqual(new PrivateAddress('127.0.0.1'))
})

test('a look-up hands on what is public, and nothing when one of all is not', async () => {
  expect(await looked(answering('8.8.8.8', '2606:4700::1'), true)).toEqual([{ address: '8.8.8.8', family: 4 }, { address: '2606:4700::1', family: 6 }])
  expect(await looked(answering('8.8.8.8', '2606:4700::1'), false)).toBe('8.8.8.8')
  for (const all of [true, false]) expect(await looked(answering('8.8.8.8', '10.0.0.1'), all)).toEqual(new PrivateAddress('10.0.0.1'))
  expect(await looked(answering(), true)).toMatchObject({ code: 'ENOTFOUND' })
  const failure = Object.assign(new Error('no'), { code: 'EAI_AGAIN' })
  expect(await looked((_, __, answer) => answer(failure, []), true)).toBe(failure)
})
