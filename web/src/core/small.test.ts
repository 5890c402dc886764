import { describe, expect, test } from 'vitest'
import { bytes, duration, moment, spacesAfter } from './format.ts'
import { merge } from './merge.ts'
import { isText, nameOf } from './paste.ts'
import { EventParser } from './sse.ts'
import { words } from './words.ts'
import { figureAlts } from './alt.ts'
import { fromFrame } from '../frame/protocol.ts'

describe('figures', () => {
  test('bytes', () => {
    expect([0, 1023, 1024, 1536, 200 * 2 ** 20].map(bytes)).toEqual(['0 B', '1023 B', '1 KiB', '1.5 KiB', '200 MiB'])
  })
  test('durations', () => {
    expect([0.4, 12, 999, 1400, 65_000].map(duration)).toEqual(['0 ms', '12 ms', '999 ms', '1.4 s', '1 min 5 s'])
  })
  test('moments', () => {
    const now = new Date(2026, 4, 3, 12, 0)
    expect(moment(new Date(2026, 4, 3, 9, 5).toISOString(), now)).toBe('09:05')
    expect(moment(new Date(2026, 3, 30).toISOString(), now)).toBe('30 Apr')
    expect(moment('never', now)).toBe('')
  })
  test('plurals', () => {
    expect([words.variables.count(1), words.variables.count(2)]).toEqual(['1 variable', '2 variables'])
  })
})

describe('merging', () => {
  test.each([
    ['a\nb\nc', 'a\nb\nX', 'Y\nb\nc', 'Y\nb\nX'],
    ['a', 'a', 'b', 'b'],
    ['a', 'b', 'a', 'b'],
    ['a\nb', 'a\nb\nc', 'x\na\nb', 'x\na\nb\nc'],
  ])('%j and both edits', (base, mine, theirs, both) => {
    expect(merge(base, mine, theirs)).toBe(both)
  })
  test('the same lines are nobody’s to decide', () => {
    expect(merge('a\nb', 'a\nX', 'a\nY')).toBeNull()
  })
})

describe('server-sent events', () => {
  const text = ': ping\n\nid: 1\nevent: stream\ndata: {"a":\ndata: 1}\n\nid: 2\ndata: x\r\n\r\n'
  test('come out whole wherever chunks are cut', () => {
    for (let cut = 0; cut <= text.length; cut++) {
      const parser = new EventParser()
      const found = [...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))]
      expect(found[0]).toEqual({ id: '1', event: 'stream', data: '{"a":\n1}' })
    }
  })
  test('an unfinished event waits', () => {
    expect(new EventParser().push('data: x\n')).toEqual([])
  })
})

describe('messages of the frame', () => {
  test('are believed only in form and bounds', () => {
    expect(fromFrame({ type: 'height', height: 1e9 })).toEqual({ type: 'height', height: 4000 })
    expect(fromFrame({ type: 'height', height: -5 })).toEqual({ type: 'height', height: 0 })
    expect(fromFrame({ type: 'saved', format: 'svg', data: '<svg/>' })).toEqual({ type: 'saved', format: 'svg', data: '<svg/>' })
    for (const saved of [{ format: 'html', data: 'x' }, { format: 'png', data: '<svg/>' }, { format: 'svg', data: 1 }]) {
      expect(fromFrame({ type: 'saved', ...saved })).toBeNull()
    }
    for (const wrong of [null, 'ready', { type: 'height', height: NaN }, { type: 'height', height: '9' }, { type: 'other' }]) {
      expect(fromFrame(wrong)).toBeNull()
    }
  })
})

describe('a figure in words', () => {
  test('has the title and the axes that its code names', () => {
    const code = 'ax.set_title("Revenue by region")\nax.set_xlabel("Region")\nplt.ylabel(\'Revenue, $\')'
    expect(figureAlts(code, 1)).toEqual(['Figure: Revenue by region (x: Region, y: Revenue, $)'])
    expect(figureAlts('plt.title("A")', 1)).toEqual(['Figure: A'])
    expect(figureAlts('px.bar(t, title="A")', 1)).toEqual(['Figure: A'])
    expect(figureAlts('plt.xlabel("t")', 1)).toEqual(['Figure (x: t)'])
    expect(figureAlts('f.suptitle("Both")\na.set_title("One")\nb.set_title("Two")', 1)).toEqual(['Figure: Both'])
  })
  test('has what a model called its step', () => {
    expect(figureAlts('plt.title("A")', 1, 'Compare the regions')).toEqual(['Figure: A. Compare the regions'])
    expect(figureAlts('plt.title("A")', 1, 'A')).toEqual(['Figure: A'])
    expect(figureAlts('plt.plot(x)', 2, 'Trends')).toEqual(['Figure 1 of 2: Trends', 'Figure 2 of 2: Trends'])
  })
  test('of several each has its own', () => {
    const shows = 'plt.title("A")\nplt.show()\nplt.title("B"); plt.xlabel("t")\nplt.show()\n'
    expect(figureAlts(shows, 2)).toEqual(['Figure: A', 'Figure: B (x: t)'])
    const begins = 'f, a = plt.subplots()\na.set_title("A")\nf, a = plt.subplots()\na.set_title("B")'
    expect(figureAlts(begins, 2)).toEqual(['Figure: A', 'Figure: B'])
  })
  test('says nothing that could be wrong', () => {
    expect(figureAlts('plt.title("A")\nplt.title("B")', 1)).toEqual(['Figure'])
    expect(figureAlts('plt.title(f"{n} rows")', 1)).toEqual(['Figure'])
    expect(figureAlts('for n in "ab":\n    plt.title("A")\n    plt.show()', 2)).toEqual(['Figure 1 of 2', 'Figure 2 of 2'])
    expect(figureAlts('subtitle = 1', 1)).toEqual(['Figure'])
  })
})

test('figures of a column stand under each other by their points', () => {
  expect(spacesAfter(['1137.82', '1333.2', '-5', null, '1e-05', 'nan', '1,216.0'])).toEqual([0, 1, 3, 0, 0, 0, 1])
  expect(spacesAfter(['1', '22'])).toEqual([0, 0])
  expect(spacesAfter([])).toEqual([])
})

describe('pasting', () => {
  test('text is text, though a program has drawn it too', () => {
    expect(isText(['text/plain', 'text/html', 'text/rtf', 'Files'])).toBe(true)
    expect(isText(['text/html', 'Files'])).toBe(false)
    expect(isText(['text/plain', 'Files'])).toBe(false) // a file and its name
  })
  test('pictures have names of their own', () => {
    const now = new Date('2026-05-03T09:05:00.120Z')
    expect(nameOf('image.png', now)).toBe('image-20260503090500120.png')
    expect(nameOf('plot.png', now)).toBe('plot.png')
  })
})
