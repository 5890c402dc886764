// How exact a number is, only a browser can show: tests/e2e/test_outputs.py.
import { expect, test } from 'vitest'
import { read, told, written } from './exact.ts'

const LARGE = '{"data":{"application/json":9007199254740993,"application/vnd.x+json":[9007199254740993]},"__proto__":{"z":1}}'

test('only numbers that are shown are not as JavaScript has them', () => {
  const { data } = told<{ data: Record<string, unknown> }>(LARGE)
  expect(String(data['application/json'])).toMatch(/^900719925474099/)
  expect(data['application/vnd.x+json']).toEqual([9007199254740992])
})
test('a name that is special to objects is one like any other', () => {
  expect(Object.keys(told<object>(LARGE))).toEqual(['data', '__proto__'])
})
test('what was read is written again', () => {
  const text = '{"a":[1,0.5,"x",null,true],"id":"12345678901234567890"}'
  expect(written(read(text))).toBe(text)
  expect(written(10n ** 20n)).toMatch(/^10{20}$/)
})
