import { describe, expect, test } from 'vitest'
import { pieces } from './fences.ts'

const CODE = '```python\nx = 1\n```'

describe('what a person wrote', () => {
  test('is one piece without a fence, Markdown or not', () => {
    expect(pieces('# one\n\n**two**  `three`')).toEqual([{ fenced: false, text: '# one\n\n**two**  `three`' }])
  })
  test('is words and blocks where it has fences', () => {
    expect(pieces(`Why?\n\n${CODE}\n\nIt fails.`)).toEqual([
      { fenced: false, text: 'Why?' },
      { fenced: true, text: CODE },
      { fenced: false, text: 'It fails.' },
    ])
    expect(pieces(`${CODE}\n${CODE}`).map((piece) => piece.fenced)).toEqual([true, true])
  })
  test.each([
    ['a fence that is not closed goes to the end', 'See\n```\na\nb', '```\na\nb'],
    ['a longer fence may hold a shorter one', '````md\n```\na\n```\n````', '````md\n```\na\n```\n````'],
    ['tildes are fences too, and are closed by tildes', '~~~\n```\n~~~', '~~~\n```\n~~~'],
    ['what is deeper than three blanks closes nothing', '```\n    ```\nb\n```', '```\n    ```\nb\n```'],
  ])('%s', (_, text, block) => {
    expect(pieces(text).at(-1)).toEqual({ fenced: true, text: block })
  })
  test.each(['a ``` b', '```inline```', '    ```\nx'])('%j has no fence', (text) => {
    expect(pieces(text).some((piece) => piece.fenced)).toBe(false)
  })
})
