// A figure of this frame as a file: what plotly draws it makes itself, everything else is the first SVG.
import type { Picture } from './protocol.ts'

export interface Plot {
  readonly box: HTMLElement
  readonly image: (format: Picture) => Promise<string>
}

/** SVG as text, PNG in base64. */
export async function saved(root: HTMLElement, plot: Plot | null, format: Picture): Promise<string> {
  if (plot !== null) {
    const url = await plot.image(format)
    const [head = '', body = ''] = [url.slice(0, url.indexOf(',')), url.slice(url.indexOf(',') + 1)]
    return format === 'png' || head.endsWith(';base64') ? body : decodeURIComponent(body)
  }
  const drawing = root.querySelector('svg')
  if (!drawing) throw new Error('There is no figure here.')
  const text = serialized(drawing)
  return format === 'svg' ? text : painted(text, drawing)
}

function serialized(drawing: SVGSVGElement): string {
  const copy = drawing.cloneNode(true) as SVGSVGElement
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  copy.setAttribute('xmlns:xlink', 'http://www.w3.org/1999/xlink')
  return new XMLSerializer().serializeToString(copy)
}

async function painted(text: string, drawing: SVGSVGElement): Promise<string> {
  const { width, height } = drawing.getBoundingClientRect()
  const image = new Image()
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`
  await image.decode()
  const canvas = Object.assign(document.createElement('canvas'), { width: Math.ceil(width * 2), height: Math.ceil(height * 2) })
  canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height)
  return canvas.toDataURL('image/png').split(',')[1] ?? ''
}
