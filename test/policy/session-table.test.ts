import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { rebindChoice } from '../../src/policy/sessions/rebind.ts'
import type { SessionRow } from '../../src/policy/sessions/session-changes.ts'
import { SessionTable } from '../../src/policy/sessions/session-table.ts'

const WALL = 1_700_000_000_000

describe('session table', () => {
  it('ends a session five minutes after its last use, not after its start', () => {
    const table = new SessionTable()
    table.create('a', 'grpc://one', 7, 0)
    assert.equal(table.use('a', 299_999)?.connectionId, 7)
    assert.equal(table.use('a', 599_998)?.home, 'grpc://one')
    assert.equal(table.use('a', 899_998), undefined)
    assert.equal(table.size, 0)
  })

  it('keeps sessions for ever when told so', () => {
    const table = new SessionTable({ idleTtlMs: Number.POSITIVE_INFINITY })
    table.create('a', 'h', 1, 0)
    assert.equal(table.expire(1e12), 0)
    assert.ok(table.use('a', 1e12))
  })

  it('does not prolong a session by looking at it', () => {
    const table = new SessionTable({ idleTtlMs: 100 })
    table.create('a', 'h', 1, 0)
    assert.ok(table.peek('a', 99))
    table.list(99)
    assert.equal(table.count(99), 1)
    assert.equal(table.peek('a', 100), undefined)
    assert.equal(table.size, 1)
    assert.equal(table.count(100), 0)
  })

  it('gives up the least recently used session when it is full', () => {
    const table = new SessionTable({ maxSessions: 3 })
    for (const [at, key] of ['a', 'b', 'c'].entries()) table.create(key, 'h', 1, at)
    table.use('a', 3)
    table.create('d', 'h', 1, 4)
    assert.deepEqual(
      table.list(5).map((session) => session.key),
      ['d', 'a', 'c'],
    )
  })

  it('does not store keys long enough to fill the memory', () => {
    const table = new SessionTable()
    assert.equal(table.create('x'.repeat(513), 'h', 1, 0), undefined)
    assert.equal(table.size, 0)
  })

  it('lists copies that later events do not change', () => {
    const table = new SessionTable()
    table.create('a', 'h', 1, 0)
    const [listed] = table.list(0)
    table.rebind('a', 'other', 2, 5)
    assert.deepEqual(listed, { key: 'a', home: 'h', connectionId: 1, createdAt: 0, lastUsedAt: 0 })
  })

  it('hands each change to the store once, and a removal instead of the row it removed', () => {
    const table = new SessionTable({ isStored: true, idleTtlMs: 1000 })
    table.create('a', 'one', 1, 10)
    table.create('b', 'one', 1, 20)
    table.rebind('a', 'two', 2, 30)
    table.clear('b')
    const changes = table.drainDirty(30, WALL)
    assert.deepEqual(changes, {
      saved: [{ key: 'a', home: 'two', createdAtMs: WALL - 20, lastUsedAtMs: WALL }],
      removed: ['b'],
    })
    assert.equal(table.dirty, 0)
    table.restoreDirty(changes)
    assert.equal(table.dirty, 2)
    assert.deepEqual(table.drainDirty(30, WALL), changes)
  })

  it('does not remove the row of a session that was started again', () => {
    const table = new SessionTable({ isStored: true })
    table.create('a', 'one', 1, 0)
    table.clear('a')
    table.create('a', 'two', 1, 0)
    const { saved, removed } = table.drainDirty(0, WALL)
    assert.deepEqual([saved[0]?.home, removed], ['two', []])
  })

  it('writes a use behind only when the stored instant has become stale', () => {
    const table = new SessionTable({ isStored: true, idleTtlMs: 1000 })
    table.create('a', 'h', 1, 0)
    table.drainDirty(0, WALL)
    for (let now = 1; now < 100; now++) table.use('a', now)
    assert.equal(table.dirty, 0)
    table.use('a', 100)
    assert.equal(table.dirty, 1)
    table.drainDirty(100, WALL)
    table.use('a', 199)
    assert.equal(table.dirty, 0)
  })

  it('collects nothing for a store that is not there', () => {
    const table = new SessionTable({ maxSessions: 2 })
    for (let count = 0; count < 100; count++) table.create(`k${count}`, 'h', 1, 0)
    assert.equal(table.dirty, 0)
    assert.deepEqual(table.drainDirty(0, WALL), { saved: [], removed: [] })
  })

  it('bounds what it remembers for a store that never collects', () => {
    const table = new SessionTable({ maxSessions: 10, isStored: true })
    for (let count = 0; count < 1000; count++) table.create(`k${count}`, 'h', 1, 0)
    assert.ok(table.dirty <= 20)
  })

  it('restores sessions with the idle time they had, without their connections', () => {
    const before = new SessionTable({ isStored: true, idleTtlMs: 1000 })
    before.create('old', 'one', 3, 0)
    before.create('new', 'two', 4, 900)
    const { saved } = before.drainDirty(900, WALL)
    const after = new SessionTable({ isStored: true, idleTtlMs: 1000 })
    assert.equal(after.restore([...saved].reverse(), 50, WALL + 150), 1)
    assert.deepEqual(after.list(50), [
      { key: 'new', home: 'two', connectionId: 0, createdAt: -100, lastUsedAt: -100 },
    ])
    assert.deepEqual(after.drainDirty(50, WALL), { saved: [], removed: ['old'] })
  })

  it('restores the most recently used when the bound shrank, and survives a wall clock set back', () => {
    const rows: SessionRow[] = [3, 1, 2].map((age) => ({
      key: `k${age}`,
      home: 'h',
      createdAtMs: WALL,
      lastUsedAtMs: WALL - age,
    }))
    const table = new SessionTable({ maxSessions: 2 })
    assert.equal(table.restore(rows, 0, WALL - 1e9), 2)
    assert.deepEqual(
      table.list(0).map((session) => session.key),
      ['k1', 'k2'],
    )
    assert.ok(table.peek('k1', 299_999))
  })
})

describe('session table against a plain model', () => {
  const TTL = 50
  const MAX = 3
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const step = fc.record({
    do: fc.constantFrom('create', 'use', 'peek', 'refresh', 'rebind', 'clear', 'expire', 'drain'),
    key,
    home: fc.constantFrom('one', 'two'),
    connectionId: fc.integer({ min: 1, max: 9 }),
    waitMs: fc.nat(20),
  })

  it('holds the same sessions and the same stored rows after any sequence', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (history) => {
        const table = new SessionTable({ idleTtlMs: TTL, maxSessions: MAX, isStored: true })
        /* Model: an array in the order of use, and the rows a store would hold. */
        let model: { key: string; home: string; connectionId: number; lastUsedAt: number }[] = []
        const stored = new Map<string, SessionRow>()
        let now = 0
        for (const { do: action, key: name, home, connectionId, waitMs } of history) {
          now += waitMs
          const known = model.find((entry) => entry.key === name && now - entry.lastUsedAt < TTL)
          const touch = (): void => {
            if (known === undefined) return
            known.lastUsedAt = now
            model = [...model.filter((entry) => entry !== known), known]
          }
          switch (action) {
            case 'create':
              model = [
                ...model.filter((entry) => entry.key !== name && now - entry.lastUsedAt < TTL),
                { key: name, home, connectionId, lastUsedAt: now },
              ].slice(-MAX)
              table.create(name, home, connectionId, now)
              break
            case 'use':
              assert.equal(table.use(name, now)?.connectionId, known?.connectionId)
              touch()
              break
            case 'refresh':
              assert.equal(table.refresh(name, now), known !== undefined)
              touch()
              break
            case 'peek':
              assert.equal(table.peek(name, now)?.home, known?.home)
              break
            case 'rebind':
              assert.equal(table.rebind(name, home, connectionId, now), known !== undefined)
              touch()
              if (known !== undefined) Object.assign(known, { home, connectionId })
              break
            case 'clear':
              if (known !== undefined) assert.equal(table.clear(name), true)
              else table.clear(name)
              model = model.filter((entry) => entry.key !== name)
              break
            case 'expire':
              table.expire(now)
              break
            case 'drain': {
              const changes = table.drainDirty(now, now + WALL)
              for (const gone of changes.removed) stored.delete(gone)
              for (const row of changes.saved) stored.set(row.key, row)
              table.expire(now)
              for (const gone of table.drainDirty(now, now + WALL).removed) stored.delete(gone)
              assert.equal(stored.size, table.size)
              for (const session of table.list(now)) {
                const row = stored.get(session.key)!
                assert.equal(row.home, session.home)
                assert.ok(now - row.lastUsedAtMs + WALL >= now - session.lastUsedAt)
                assert.ok(session.lastUsedAt + WALL - row.lastUsedAtMs <= TTL / 10)
              }
              break
            }
          }
          const alive = model.filter((entry) => now - entry.lastUsedAt < TTL)
          const listed = table
            .list(now)
            .map((session) => `${session.key} ${session.home} ${session.connectionId}`)
          assert.deepEqual(
            listed,
            alive.reverse().map((entry) => `${entry.key} ${entry.home} ${entry.connectionId}`),
          )
          assert.ok(table.size <= MAX)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('rebind rule', () => {
  it('stays with a live connection and moves off a dead one, home first', () => {
    for (const homeHasAvailable of [true, false]) {
      assert.equal(rebindChoice('available', homeHasAvailable), 'pinned')
      assert.equal(rebindChoice('busy', homeHasAvailable), 'borrow')
    }
    assert.equal(rebindChoice('gone', true), 'same-home')
    assert.equal(rebindChoice('gone', false), 'anywhere')
  })
})
