import { describe, expect, test } from 'vitest'
import { blocks, foldOutput, type Folded } from './outputs.ts'
import type { Output } from '../wire/types.ts'

const NONE: Folded = { outputs: [], clearing: false }
const shown = (text: string, id?: string): Output => ({
  output_type: 'display_data',
  data: { 'text/plain': text },
  ...(id ? { transient: { display_id: id } } : {}),
})

describe('folding events', () => {
  test('prints of one stream are one output, another stream begins a new one', () => {
    const folded = [
      { kind: 'stream', name: 'stdout', text: 'a' } as const,
      { kind: 'stream', name: 'stdout', text: 'b\n' } as const,
      { kind: 'stream', name: 'stderr', text: 'c' } as const,
    ].reduce(foldOutput, NONE)
    expect(folded.outputs).toEqual([
      { output_type: 'stream', name: 'stdout', text: 'ab\n' },
      { output_type: 'stream', name: 'stderr', text: 'c' },
    ])
  })
  test('clearing at once empties, clearing with wait empties at the next output', () => {
    const one = foldOutput(NONE, { kind: 'display', output: shown('1') })
    expect(foldOutput(one, { kind: 'clear', wait: false }).outputs).toEqual([])
    const waiting = foldOutput(one, { kind: 'clear', wait: true })
    expect(waiting.outputs).toHaveLength(1)
    expect(foldOutput(waiting, { kind: 'display', output: shown('2') }).outputs).toEqual([shown('2')])
  })
  test('an update replaces every display of its id and nothing else', () => {
    const before = { outputs: [shown('1', 'x'), shown('2'), shown('3', 'x')], clearing: false }
    const after = foldOutput(before, { kind: 'update', displayId: 'x', data: { 'text/plain': 'new' }, metadata: {} })
    expect(after.outputs.map((output) => ('data' in output ? output.data['text/plain'] : ''))).toEqual(['new', '2', 'new'])
  })
})

describe('blocks', () => {
  const data = (bundle: Record<string, unknown>): Output => ({ output_type: 'display_data', data: bundle })

  test('whatever could run code goes into the frame', () => {
    for (const type of [
      'text/html',
      'image/svg+xml',
      'application/javascript',
      'application/vnd.plotly.v1+json',
      'application/vnd.vegalite.v6.json',
      'application/vnd.vegalite.v5+json',
    ]) {
      expect(blocks([data({ [type]: 'x', 'text/plain': 'p' })])[0]?.kind).toBe('frame')
    }
  })
  test('a type that only looks like one of them does not', () => {
    expect(blocks([data({ 'text/html5': 'x', 'text/plain': 'p' })])[0]).toEqual({ kind: 'text', name: 'result', text: 'p', at: 0 })
  })
  test('consecutive outputs for the frame share one, in order', () => {
    const found = blocks([data({ 'text/html': '1' }), data({ 'application/javascript': '2' }), shown('t'), data({ 'text/html': '3' })])
    expect(found.map((block) => block.kind)).toEqual(['frame', 'text', 'frame'])
    expect(found[0]?.kind === 'frame' && found[0].bundles.length).toBe(2)
  })
  test('a figure stands alone, so that it can be enlarged and saved', () => {
    const found = blocks([data({ 'text/html': '1' }), data({ 'application/vnd.plotly.v1+json': {} }), data({ 'image/svg+xml': '<svg/>' })])
    expect(found.map((block) => block.kind === 'frame' && block.figure)).toEqual([false, true, true])
  })
  test('sound and films play in the page, JSON is a tree', () => {
    expect(blocks([data({ 'audio/wav': 'aGk=\n', 'text/plain': 'p' })])[0]).toEqual({ kind: 'media', mime: 'audio/wav', data: 'aGk=', at: 0 })
    expect(blocks([data({ 'application/json': { a: 1 }, 'text/plain': 'p' })])[0]).toEqual({ kind: 'json', value: { a: 1 }, at: 0 })
    expect(blocks([data({ 'audio/"><script>': 'x', 'text/plain': 'p' })])[0]?.kind).toBe('text')
  })
  test('a picture wins over its text and gets words for who cannot see it', () => {
    expect(blocks([data({ 'image/png': 'aGk=\n', 'text/plain': '<Figure size 640x480 with 1 Axes>' })])[0]).toMatchObject({
      kind: 'image',
      data: 'aGk=',
      alt: '',
      plotted: true,
    })
  })
  test('a long table stands alone, and knows its rows and its place', () => {
    const long = '<div><table border="1" class="dataframe"><tr><td>1</td></tr></table>\n<p>1200 rows × 3 columns</p>\n</div>'
    const found = blocks([shown('t'), data({ 'text/html': '<b>x</b>' }), data({ 'text/html': long }), data({ 'text/html': 'y' })])
    expect(found.map((block) => [block.at, block.kind === 'frame' && block.table])).toEqual([
      [0, false],
      [1, null],
      [2, { rows: 1200, columns: 3 }],
      [3, null],
    ])
    expect(blocks([data({ 'text/html': '<p>9 rows × 9 columns</p></div>' })])[0]).toMatchObject({ table: null })
  })
  test('lines of nbformat are joined', () => {
    expect(blocks([{ output_type: 'stream', name: 'stdout', text: ['a\n', 'b'] }])[0]).toMatchObject({ text: 'a\nb' })
  })
  test('an output with nothing that can be shown is left out', () => {
    expect(blocks([data({ 'application/x-unknown': {} })])).toEqual([])
  })
})
