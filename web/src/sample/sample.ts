// A small data set to try the page with, and what one could ask about it.
import url from './sales.csv?url'

export const SAMPLE_NAME = 'sales.csv'
export const SAMPLE_ABOUT = 'A year of orders from a furniture shop'
export const SAMPLE_PROMPTS = [
  'Analyze this CSV and create a bar chart of revenue by region',
  'Plot revenue by month as a line chart',
  'Show the top 3 products by revenue in the West',
] as const

export async function sampleFile(): Promise<File> {
  const response = await fetch(url)
  return new File([await response.blob()], SAMPLE_NAME, { type: 'text/csv' })
}
