// The distributed bundle has no types of its own; this is the one call that is made.
declare module 'plotly.js-dist-min' {
  const Plotly: {
    toImage(box: HTMLElement, options: { format: 'png' | 'svg'; scale?: number }): Promise<string>
    newPlot(box: HTMLElement, figure: { data: unknown[]; layout: object; frames: unknown[]; config: object }): Promise<void>
  }
  export default Plotly
}
