// Runs without an origin, behind a policy that lets nothing out: draws what untrusted code has made.
import './frame.css'
import { saved, type Plot } from './saving.ts'
import { dress } from './tables.ts'
import type { FromFrame, Picture, Scheme, ToFrame } from './protocol.ts'
import type { MimeBundle } from '../wire/types.ts'

const root = document.getElementById('outputs')!

function say(message: FromFrame): void {
  parent.postMessage(message, '*')
}

let turn: Promise<void> = Promise.resolve()

addEventListener('message', (event: MessageEvent<ToFrame>) => {
  if (event.source !== parent) return
  const message = event.data
  if (message.type === 'save') {
    turn = turn.then(() => save(message.format)).catch(() => {})
    return
  }
  document.documentElement.dataset['scheme'] = message.scheme
  document.documentElement.toggleAttribute('data-large', message.large)
  turn = turn.then(() => render(message.bundles, message.scheme))
})

let plot: Plot | null = null

async function save(format: Picture): Promise<void> {
  say({ type: 'saved', format, data: await saved(root, plot, format) })
}

interface Drawn {
  readonly key: string
  readonly box: HTMLElement
}

const drawn: Drawn[] = []

/** What is there already stays: a figure does not start over because another one follows. */
async function render(bundles: readonly MimeBundle[], scheme: Scheme): Promise<void> {
  root.ariaBusy = 'true'
  for (const old of drawn.splice(bundles.length)) old.box.remove()
  if (plot !== null && !plot.box.isConnected) plot = null
  for (const [at, bundle] of bundles.entries()) {
    const key = keyOf(bundle, scheme)
    if (drawn[at]?.key === key) continue
    const box = document.createElement('div')
    if (drawn[at]) drawn[at].box.replaceWith(box)
    else root.append(box)
    drawn[at] = { key, box }
    await draw(box, bundle, scheme).catch((error: unknown) => complain(box, error))
    box.querySelectorAll('svg').forEach(scalable)
  }
  root.ariaBusy = 'false'
}

/** What else is drawn: a chart of vega has the theme's colours in it. */
function keyOf(bundle: MimeBundle, scheme: Scheme): string {
  const themed = Object.keys(bundle).some((type) => type.includes('vega'))
  return `${themed ? scheme : ''}${JSON.stringify(bundle)}`
}

function complain(box: HTMLElement, error: unknown): void {
  box.className = 'problem'
  box.textContent = `This output could not be drawn: ${error instanceof Error ? error.message : String(error)}`
}

async function draw(box: HTMLElement, bundle: MimeBundle, scheme: Scheme): Promise<void> {
  for (const [type, data] of Object.entries(bundle)) {
    if (type.includes('plotly')) return plotly(box, data)
    if (type.includes('vega')) return vega(box, data, scheme)
    if (type === 'text/html' || type === 'image/svg+xml') return html(box, text(data))
    if (type === 'application/javascript') return script(box, text(data))
  }
}

function text(data: unknown): string {
  return Array.isArray(data) ? data.join('') : String(data)
}

/** A drawing that tells its size alone cannot be drawn larger. */
function scalable(svg: SVGSVGElement): void {
  const [width, height] = [svg.width.baseVal.value, svg.height.baseVal.value]
  const enlarged = document.documentElement.hasAttribute('data-large')
  if (enlarged && !svg.hasAttribute('viewBox') && width * height > 0) svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
}

async function html(box: HTMLElement, markup: string): Promise<void> {
  box.innerHTML = markup
  dress(box)
  for (const old of box.querySelectorAll('script')) {
    const fresh = document.createElement('script')
    for (const { name, value } of old.attributes) fresh.setAttribute(name, value)
    fresh.textContent = old.textContent
    const loaded = fresh.src ? new Promise((resolve) => (fresh.onload = fresh.onerror = resolve)) : null
    old.replaceWith(fresh)
    await loaded
  }
}

async function script(box: HTMLElement, code: string): Promise<void> {
  Object.assign(globalThis, { element: box })
  const made = document.createElement('script')
  made.textContent = code
  box.append(made)
}

interface Figure {
  data: unknown[]
  layout?: { height?: number }
  frames?: unknown[]
  config?: object
}

async function plotly(box: HTMLElement, data: unknown): Promise<void> {
  const { default: Plotly } = await import('plotly.js-dist-min')
  const figure = data as Figure
  const large = document.documentElement.hasAttribute('data-large')
  box.style.height = large ? '78vh' : `${figure.layout?.height ?? 420}px`
  await Plotly.newPlot(box, {
    data: figure.data,
    layout: { autosize: true, ...figure.layout },
    frames: figure.frames ?? [],
    config: { responsive: true, displaylogo: false, modeBarButtonsToRemove: ['toImage'], ...figure.config },
  })
  plot = { box, image: (format) => Plotly.toImage(box, { format, scale: format === 'png' ? 2 : 1 }) }
}

async function vega(box: HTMLElement, spec: unknown, scheme: Scheme): Promise<void> {
  const { default: embed } = await import('vega-embed')
  await embed(box, spec as object, {
    actions: false,
    renderer: 'svg',
    ...(scheme === 'dark' ? { theme: 'dark' as const } : {}),
    config: { background: 'transparent' },
  })
}

// A link leads nowhere from here, and would take along what is drawn: only places within are reached.
addEventListener(
  'click',
  (event) => {
    const link = event.composedPath().find((one) => one instanceof Element && one.matches('a, area'))
    const to = link instanceof Element ? (link.getAttribute('href') ?? link.getAttribute('xlink:href') ?? '#') : '#'
    if (!to.startsWith('#')) event.preventDefault()
  },
  { capture: true },
)

new ResizeObserver(() => say({ type: 'height', height: root.getBoundingClientRect().height })).observe(root)
say({ type: 'ready' })
