import { describe, expect, test } from 'vitest'
import { TOOL, turns, writing, type Message, type Part } from './chat.ts'

const assistant = (id: string, parts: Part[], metadata?: unknown): Message => ({ id, role: 'assistant', parts, metadata })
const user = (text: string): Message => ({ id: 'u', role: 'user', parts: [{ type: 'text', text }] })
const call = (id: string, state: string, code = 'x'): Part => ({ type: TOOL, toolCallId: id, state, input: { code, title: 'Chart' } })
const cellPart = (cellId: string, more: Record<string, unknown> = {}): Part => ({ type: 'data-cell', id: cellId, data: { cellId, status: 'ok', ...more } })

describe('turns', () => {
  test('messages of one answer are one turn', () => {
    const found = turns([user('q'), assistant('1', [{ type: 'text', text: 'a' }]), assistant('2', [{ type: 'text', text: 'b' }])])
    expect(found).toHaveLength(2)
    expect(found[1]?.role === 'assistant' && found[1].items.map((item) => item.kind === 'text' && item.text)).toEqual(['a', 'b'])
  })
  test('a call finds its cell by its id, by its output, or by its order', () => {
    const items = (parts: Part[]) => {
      const [turn] = turns([assistant('1', parts)])
      return turn?.role === 'assistant' ? turn.items.map((item) => item.kind === 'tool' && item.cellId) : []
    }
    expect(items([call('1', 'output-available'), call('2', 'output-available'), cellPart('b', { toolCallId: '2' }), cellPart('a', { toolCallId: '1' })])).toEqual(['a', 'b'])
    expect(items([{ ...call('1', 'output-available'), output: { cell_id: 'a' } }])).toEqual(['a'])
    expect(items([call('1', 'output-available'), cellPart('a')])).toEqual(['a'])
  })
  test('a call whose cell failed has failed', () => {
    const [turn] = turns([assistant('1', [call('1', 'output-available'), cellPart('a', { toolCallId: '1', status: 'timeout' })])])
    expect(turn?.role === 'assistant' && turn.items[0]).toMatchObject({ phase: 'failed', status: 'timeout' })
  })
  test('how an answer ended, and why', () => {
    const [turn] = turns([assistant('1', [{ type: 'data-error', data: { message: 'No key.', hint: 'Set one.' } }], { state: 'error' })])
    expect(turn).toMatchObject({ state: 'error', problem: { message: 'No key.', hint: 'Set one.' } })
  })
  test('parts this page does not know are left out', () => {
    const [turn] = turns([assistant('1', [{ type: 'step-start' }, { type: 'source-url' }, { type: 'text', text: '  ' }])])
    expect(turn?.role === 'assistant' && turn.items).toEqual([])
  })
})

describe('code being written', () => {
  test('is the last call without a cell, while the answer goes on', () => {
    const messages = [user('q'), assistant('1', [call('1', 'output-available'), cellPart('a', { toolCallId: '1' }), call('2', 'input-streaming', 'print(')])]
    expect(writing(messages, true)?.code).toBe('print(')
    expect(writing(messages, false)).toBeNull()
  })
  test('is none once its cell is there, or before there is any code', () => {
    expect(writing([assistant('1', [call('1', 'input-available'), cellPart('a', { toolCallId: '1' })])], true)).toBeNull()
    expect(writing([assistant('1', [call('1', 'input-streaming', '')])], true)).toBeNull()
  })
})
