import { describe, expect, test } from 'vitest'
import { heightOf } from './height.ts'
import { imageSize } from './outputs.ts'
import type { Cell, MimeBundle, Output } from '../wire/types.ts'

/** The first bytes of a PNG of 640 × 480. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAYAAAA10dzkAAAA'

const cell = (source: string, outputs: Output[] = [], more: Partial<Cell> = {}): Cell => ({
  id: 'a',
  type: 'code',
  source,
  outputs,
  execution_count: 1,
  status: 'ok',
  execution_id: null,
  metadata: {},
  ...more,
})
const printed = (text: string): Output => ({ output_type: 'stream', name: 'stdout', text })
const shown = (data: MimeBundle): Output => ({ output_type: 'display_data', data, metadata: {} })
const height = (source: string, ...outputs: Output[]): number => heightOf(cell(source, outputs), source)

describe('the height of a cell that is not drawn', () => {
  test('grows with its lines and with what it printed, up to where that scrolls', () => {
    expect(height('a\nb') - height('a')).toBe(20)
    expect(height('a', printed('1\n2\n')) - height('a', printed('1\n'))).toBe(20)
    expect(height('a', printed('1\n'.repeat(1000)))).toBe(height('a', printed('1\n'.repeat(100))))
  })
  test('knows how large a picture is', () => {
    expect(height('a', shown({ 'image/png': PNG })) - height('a')).toBe(488)
    expect(height('a', shown({ 'image/png': 'none' }))).toBe(height('a', shown({ 'application/vnd.plotly.v1+json': {} })))
  })
  test('counts a table by its rows, and other displays by their text', () => {
    const rows = (count: number): MimeBundle => ({ 'text/html': '<table>', 'text/plain': Array(count).fill('row\n').join('') })
    expect(height('a', shown(rows(4)))).toBeGreaterThan(height('a', shown(rows(2))))
    expect(height('a', shown(rows(400)))).toBe(height('a', shown(rows(40))))
    expect(height('a', shown({ 'text/plain': ['1\n', '2'] })) - height('a', shown({ 'text/plain': '1' }))).toBe(20)
    expect(height('a', { output_type: 'error', ename: 'E', evalue: 'e', traceback: ['1', '2'] })).toBeGreaterThan(height('a'))
  })
  test('is that of the code alone while outputs are folded away', () => {
    const folded = cell('a', [printed('1')], { metadata: { jupyter: { outputs_hidden: true } } })
    expect(heightOf(folded, 'a')).toBe(height('a'))
  })
})

describe('the size of a picture', () => {
  test('stands in the first bytes of a PNG', () => {
    expect(imageSize(PNG)).toEqual({ width: 640, height: 480 })
    expect(imageSize(`${PNG.slice(0, 20)}\n${PNG.slice(20)}`)).toEqual({ width: 640, height: 480 })
  })
  test.each(['', 'iVBORw0KGgo', PNG.slice(1), `iVBORw0KGgoAAAANSUhEUg${'/'.repeat(30)}`, `iVBORw0KGgoAAAANSUhEUgAAAAAAAAAAAAAA`])('is not guessed: %j', (data) => {
    expect(imageSize(data)).toBeNull()
  })
})
