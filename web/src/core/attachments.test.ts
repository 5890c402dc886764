import { expect, test } from 'vitest'
import { pictureOf } from './attachments.ts'

const held = { 'a b.png': { 'image/png': ['AA', 'AA\n'] }, 'page.html': { 'text/html': '<b>' }, '100%.gif': { 'image/gif': 'AAAA' } }

test('a picture is found by its name, also where that is encoded', () => {
  expect(['a b.png', 'a%20b.png', '100%.gif'].map((name) => pictureOf(held, `attachment:${name}`))).toEqual([
    'data:image/png;base64,AAAA',
    'data:image/png;base64,AAAA',
    'data:image/gif;base64,AAAA',
  ])
})
test('what is no picture, not there, or elsewhere is none', () => {
  const none = ['attachment:page.html', 'attachment:toString', 'attachment:%', 'http://elsewhere.test/a b.png', 'data:image/svg+xml;base64,AAAA', 'a b.png']
  expect(none.map((address) => pictureOf(held, address))).toEqual(none.map(() => null))
  expect([undefined, null, 'text', 3].map((any) => pictureOf(any, 'attachment:a'))).toEqual([null, null, null, null])
})
test('a picture within the text is one', () => {
  expect(pictureOf(undefined, 'data:image/png;base64,AAAA')).toBe('data:image/png;base64,AAAA')
})
