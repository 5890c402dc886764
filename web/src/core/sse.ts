// Server-sent events from text chunks, wherever a chunk is cut.

export interface ServerEvent {
  readonly id: string | null
  readonly event: string
  readonly data: string
}

/** Feeds chunks, yields whole events. Comments (pings) and unknown fields are dropped, as the standard says. */
export class EventParser {
  #rest = ''

  push(chunk: string): ServerEvent[] {
    const text = this.#rest + chunk
    const blocks = text.split(/\r\n\r\n|\n\n|\r\r/)
    this.#rest = blocks.pop() ?? ''
    return blocks.flatMap((block) => parseBlock(block) ?? [])
  }
}

function parseBlock(block: string): ServerEvent | null {
  let id: string | null = null
  let event = 'message'
  const data: string[] = []
  for (const line of block.split(/\r\n|\n|\r/)) {
    const [field, value] = parseLine(line)
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    else if (field === 'id') id = value
  }
  return data.length === 0 ? null : { id, event, data: data.join('\n') }
}

function parseLine(line: string): [string, string] {
  const colon = line.indexOf(':')
  if (colon < 0) return [line, '']
  const value = line.slice(colon + 1)
  return [line.slice(0, colon), value.startsWith(' ') ? value.slice(1) : value]
}
