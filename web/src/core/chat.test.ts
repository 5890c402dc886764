import { describe, expect, test } from 'vitest'
import { followable, followUps, found, hasWord, keyOf, marked, pageOf, sameMessages, spentOn, titleParts, TOOL, turns, turnWith, unfinished, wordsOf, writing, type Message, type Part } from './chat.ts'
import { dollars, short } from './format.ts'

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

test.each([
  ['Sales (branch)', ['Sales', '(branch)']],
  ['Sales (branch 12)', ['Sales', '(branch 12)']],
  ['Sales (branch) of trees', ['Sales (branch) of trees', '']],
  ['Sales', ['Sales', '']],
])('the end of a title that says which branch it is: %j', (title, parts) => {
  expect(titleParts(title)).toEqual(parts)
})

describe('where a search leads', () => {
  const shown = turns([
    user('Load the sales'),
    assistant('1', [{ type: 'text', text: 'Done.' }, call('1', 'output-available', 'pd.read_csv("sales.csv")'), { type: 'undo' }]),
    { ...user('Plot sales by Region'), id: 'u2' },
    assistant('2', [{ type: 'reasoning', text: 'umbrella' }, { type: 'text', text: 'Here.' }]),
  ])
  test('is the first turn with most of the words', () => {
    expect(turnWith(shown, null, 'sales')).toBe(0)
    expect(turnWith(shown, null, 'REGION sales')).toBe(2)
    expect(turnWith(shown, null, 'read_csv')).toBe(1)
  })
  test('is not about words of the title, unless there are no others', () => {
    expect(turnWith(shown, 'Sales of 2025', 'sales region')).toBe(2)
    expect(turnWith(shown, 'Sales of 2025', 'sales')).toBe(0)
  })
  test('is nowhere when nobody said it, or only thought it', () => {
    expect(turnWith(shown, null, 'umbrella')).toBeNull()
    expect(turnWith(shown, null, ' ')).toBeNull()
  })
  test('opens code that has one of the words', () => {
    expect([hasWord('pd.Read_csv()', 'read_csv other'), hasWord('x', 'y'), hasWord('x', '')]).toEqual([true, false, false])
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

describe('what could be asked next', () => {
  const answered = (parts: Part[]) => turns([user('Plot it'), assistant('1', parts, { state: 'complete' })])
  test('is what was suggested and not asked, then what fits the answer', () => {
    const shown = answered([call('1', 'output-available'), cellPart('a', { toolCallId: '1' })])
    expect(followUps(shown, ['plot it.', 'Show the top 3'])).toEqual(['Show the top 3', 'What stands out in this data?'])
  })
  test('is another way when the code failed, and nothing before the end', () => {
    const failed = answered([call('1', 'output-available'), cellPart('a', { toolCallId: '1', status: 'error' })])
    expect(followUps(failed, ['Show the top 3'])[0]).toBe('Try it another way')
    expect(followUps(turns([user('q'), assistant('1', [], { state: 'running' })]), ['x'])).toEqual([])
    expect(followUps([], ['x'])).toEqual([])
  })
})

describe('what answers took', () => {
  const cost = (input: number, cost: number | null) => assistant('1', [], { usage: { input_tokens: input, output_tokens: 5, cost } })
  test('is summed, and has a price only when every part has one', () => {
    expect(spentOn([user('q'), cost(10, 0.1), cost(20, 0.2)])).toMatchObject({ tokens: 40, cost: 0.30000000000000004 })
    expect(spentOn([cost(10, 0.1), cost(20, null)])).toEqual({ tokens: 40, cost: null })
    expect(spentOn([user('q'), assistant('1', [])])).toBeNull()
  })
  test('is told in short', () => {
    expect([short(950), short(12_345), short(1_200_000), short(999_960)]).toEqual(['950', '12.3k', '1.2M', '1M'])
    expect([dollars(0.0042), dollars(1.254), dollars(0), dollars(0.00001)]).toEqual(['$0.0042', '$1.25', '$0', 'less than $0.0001'])
  })
})

test('an answer in words leaves its code out', () => {
  const [turn] = turns([assistant('1', [{ type: 'text', text: 'I look. ' }, call('1', 'output-available'), { type: 'text', text: 'It is 7.' }])])
  expect(wordsOf(turn!)).toBe('I look.\n\nIt is 7.')
})

test('conversations are found by the words of their title', () => {
  const items = [{ title: 'Revenue by region' }, { title: 'Top products' }, { title: null }]
  expect(found(items, 'REGION rev')).toEqual([items[0]])
  expect(found(items, 'new conv')).toEqual([items[2]])
  expect(found(items, ' ')).toEqual(items)
})

describe('an excerpt', () => {
  test('marks the words that were wanted, whatever their case and signs', () => {
    expect(marked('The Okapi (rare)', 'okapi (RARE').filter((piece) => piece.hit).map((piece) => piece.text)).toEqual(['Okapi', '(rare'])
    expect(marked('as it is', '  ')).toEqual([{ text: 'as it is', hit: false }])
    expect(marked('abc', 'b').map((piece) => piece.text).join('')).toBe('abc')
  })
})

describe('answers to one question', () => {
  const answered = (id: string, answers?: unknown) => turns([user('q'), assistant(id, [{ type: 'text', text: id }], { answers })])
  test('one of several knows its place and its neighbours', () => {
    expect(pageOf(answered('b', ['a', 'b', 'c'])[1]!)).toEqual({ at: 2, of: 3, before: 'a', after: 'c' })
    expect(pageOf(answered('a', ['a', 'b'])[1]!)).toEqual({ at: 1, of: 2, before: null, after: 'b' })
  })
  test('the only one, a question, and one that is not among them have no place', () => {
    for (const answers of [undefined, ['a'], 'nonsense', ['x', 'y']]) expect(pageOf(answered('a', answers)[1]!)).toBeNull()
    expect(pageOf(answered('a')[0]!)).toBeNull()
  })
  test('another answer takes the same place', () => {
    expect(keyOf(answered('a'), 1)).toBe(keyOf(answered('b'), 1))
    expect(keyOf(answered('a'), 0)).not.toBe(keyOf(answered('a'), 1))
  })
})

describe('what the server has and the page has not', () => {
  const part = [{ type: 'text', text: 'a' }]
  const whole = assistant('a', part, { state: 'complete' })
  const cut = assistant('a', part, { state: 'running' })
  test('a question without its answer and an answer being written are not all there is', () => {
    expect([[], [user('q')], [user('q'), cut], [user('q'), whole]].map(unfinished)).toEqual([false, true, true, false])
  })
  test('an answer that ended is another than its beginning', () => {
    expect(sameMessages([user('q'), cut], [user('q'), whole], false)).toBe(false)
    expect(sameMessages([user('q'), whole], [user('q'), whole], false)).toBe(true)
    expect(sameMessages([user('q')], [user('q'), whole], false)).toBe(false)
  })
  test('the beginning of the answer being written is here alone', () => {
    expect(sameMessages([user('q'), cut], [user('q')], true)).toBe(true)
    expect(sameMessages([user('q'), whole], [user('q')], true)).toBe(false)
  })
  test('a question nobody has taken is not followed', () => {
    expect(followable([user('q')], [], false)).toBe(false)
    expect(followable([user('q')], [user('q'), whole], false)).toBe(false)
    expect(followable([user('q')], [user('q')], true)).toBe(true)
    expect(followable([user('q'), cut], [user('q'), whole], false)).toBe(true)
  })
})
