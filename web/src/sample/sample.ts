// A small data set to try the page with, and what one could ask about it.
import { words } from '../core/words.ts'
import url from './sales.csv?url'

export const SAMPLE_NAME = 'sales.csv'
export const SAMPLE_ABOUT = words.sample.about
export const SAMPLE_PROMPTS = [
  words.sample.chart,
  words.sample.line,
  words.sample.top,
] as const

export async function sampleFile(): Promise<File> {
  const response = await fetch(url)
  return new File([await response.blob()], SAMPLE_NAME, { type: 'text/csv' })
}
