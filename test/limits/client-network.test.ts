import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clientNetwork } from '../../src/policy/limits/client-network.ts'

describe('client network', () => {
  it('is the address with its last bits cleared', () => {
    const cases: readonly (readonly [string, number, number, string])[] = [
      ['10.1.2.3', 32, 64, '10.1.2.3'],
      ['10.1.2.3', 24, 64, '10.1.2.0/24'],
      ['10.1.255.3', 20, 64, '10.1.240.0/20'],
      ['10.1.2.3', 0, 64, '0.0.0.0/0'],
      ['2001:db8:1:2:3:4:5:6', 32, 64, '2001:db8:1:2:0:0:0:0/64'],
      ['2001:DB8::1', 32, 56, '2001:db8:0:0:0:0:0:0/56'],
      ['::1', 32, 128, '0:0:0:0:0:0:0:1/128'],
      ['fe80::1%eth0', 32, 10, 'fe80:0:0:0:0:0:0:0/10'],
      ['::ffff:10.1.2.3', 24, 64, '10.1.2.0/24'],
    ]
    for (const [address, ipv4, ipv6, expected] of cases)
      assert.equal(clientNetwork(address, ipv4, ipv6), expected, address)
  })

  it('is the text itself when that is no address, so that it still has a bucket', () => {
    for (const text of ['', 'unix', '10.1.2', '10.1.2.999', '1::2::3', ':::', '1:2:3:4:5:6:7:8:9', 'g::1'])
      assert.equal(clientNetwork(text, 24, 64), text)
  })
})
