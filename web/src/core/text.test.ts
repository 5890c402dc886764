import { describe, expect, test } from 'vitest'
import { append, bare, fold, readable, spans } from './text.ts'

describe('folding', () => {
  test('a carriage return overwrites the line it is in', () => {
    expect(fold('10%\r20%\r100%\n')).toBe('100%\n')
  })
  test('what a shorter line does not cover stays, as in a terminal', () => {
    expect(fold('abcdef\rxy')).toBe('xycdef')
  })
  test('a newline after a carriage return is one newline', () => {
    expect(fold('a\r\nb')).toBe('a\r\nb')
    expect(fold('x\ra\r\nb')).toBe('a\nb')
  })
  test('a backspace goes back one column', () => {
    expect(fold('ab\b\bX')).toBe('Xb')
  })
  test('erasing to the end of the line leaves what is before the cursor', () => {
    expect(fold('long line\rok\x1b[K')).toBe('ok')
  })
  test('moving up lets bars of several lines be drawn over', () => {
    expect(fold('a 1\nb 1\n\x1b[2Aa 2\nb 2\n')).toBe('a 2\nb 2\n')
  })
  test('colours stay with the characters they stand before', () => {
    expect(bare(fold('\x1b[31mred\x1b[0m\r\x1b[32mgre\x1b[0m'))).toBe('gre')
  })
  test('a move far beyond anything sensible costs little', () => {
    expect(fold('\x1b[999999999Ca').length).toBeLessThan(5000)
  })
})

describe('appending', () => {
  test('a progress bar that comes in chunks stays one line', () => {
    const chunks = ['start\n', ' 0%', '\r 50%', '\r100%', '\ndone\n']
    expect(chunks.reduce(append, '')).toBe('start\n100%\ndone\n')
  })
  test('a carriage return at the end of a chunk waits for what follows', () => {
    expect(fold(append(append('', 'one\r'), '\ntwo'))).toBe('one\r\ntwo')
    expect(fold(append(append('', 'one\r'), 'two'))).toBe('two')
  })
  test('a bar that never ends its line does not grow without end', () => {
    let text = ''
    for (let step = 0; step < 5000; step++) text = append(text, `\r${step} of 5000`)
    expect(text.length).toBeLessThan(5000)
    expect(fold(text)).toBe('4999 of 5000')
  })
  test('chunks and the whole text fold to the same', () => {
    const text = 'a\rb\nccc\r\x1b[31md\x1b[0m\be\nf'
    for (let cut = 0; cut <= text.length; cut++) {
      if (/\x1b\[?\d*$/.test(text.slice(0, cut))) continue
      expect(bare(fold(append(append('', text.slice(0, cut)), text.slice(cut))))).toBe(bare(fold(text)))
    }
  })
})

describe('spans', () => {
  test('colours, weight and reset', () => {
    const found = spans('a\x1b[1;31mb\x1b[0mc')
    expect(found.map((span) => span.text)).toEqual(['a', 'b', 'c'])
    expect(found[1]?.style).toMatchObject({ bold: true, color: 'var(--ansi-red)' })
    expect(found[2]?.style.bold).toBe(false)
  })
  test('256 and true colours', () => {
    expect(spans('\x1b[38;5;196mx')[0]?.style.color).toBe('rgb(255 0 0)')
    expect(spans('\x1b[48;2;1;2;3mx')[0]?.style.background).toBe('rgb(1 2 3)')
  })
  test('a colour that is no number cannot leave its place', () => {
    expect(spans('\x1b[38;2;999;-1;;mx')[0]?.style.color ?? '').not.toContain('999')
  })
  test('colours of a code’s own choice are made readable in both themes', () => {
    expect(readable('rgb(0 135 0)')).toBe('light-dark(oklch(from rgb(0 135 0) min(l, 0.5) c h), oklch(from rgb(0 135 0) max(l, 0.75) c h))')
    expect(readable('var(--ansi-red)')).toBe('var(--ansi-red)')
  })
  test('links, titles and other escapes are dropped', () => {
    expect(bare('\x1b]8;;https://x.test\x07link\x1b]8;;\x07 \x1b[?25lhidden')).toBe('link hidden')
  })
})
