// Commands carried out: what the store is told, and where the focus goes.
import { questionAbout } from '../../core/asking.ts'
import type { CellCommand, NotebookCommand } from '../../core/commands.ts'
import { isActive, outputsHidden, type CellView } from '../../core/notebook.ts'
import { never } from '../../core/outputs.ts'
import { cellOfCount } from '../../core/traceback.ts'
import type { CellType } from '../../wire/types.ts'
import { announce } from '../../ui/live.tsx'
import { askKernel, goToLine, wantEditor } from './editor.tsx'
import { allThere } from './near.ts'
import { words } from '../../core/words.ts'
import type { SessionStore } from './store.ts'

export interface CellActions {
  /** Runs the cell, or shows a text as it will look; then the focus stays, goes on, or goes into a new cell. */
  readonly run: (id: string, then: 'stay' | 'next' | 'insert') => void
  readonly step: (id: string, step: 1 | -1, into: 'cell' | 'editor') => boolean
  readonly perform: (id: string, command: CellCommand) => void
  readonly overall: (command: NotebookCommand) => void
  /** A frame of a traceback: the line of the cell that ran with this count. */
  readonly goToFrame: (failed: string, count: number, line: number) => void
}

export function cellActions(store: SessionStore, ask: (question: string) => void, branch: (at: string) => void): CellActions {
  const cells = (): readonly CellView[] => store.getView().session.cells
  const at = (id: string): number => cells().findIndex((cell) => cell.id === id)
  const into = (id: string): void => focusEditor(id)
  const onto = (id: string | null): void => {
    if (id) onceDrawn(id, () => focusCell(id))
  }

  const run: CellActions['run'] = (id, then) => {
    void (store.cell(id)?.type === 'code' ? store.run(id) : store.save(id))
    const next = cells()[at(id) + 1]
    if (then === 'insert' || (then === 'next' && !next)) into(store.add('code', id))
    else if (then === 'next' && next) focusCell(next.id)
  }
  const remove = (id: string): void => {
    const number = at(id) + 1
    const near = cells()[number] ?? cells()[number - 2]
    void store.remove(id)
    announce(words.cell.deleted(number))
    if (near) focusCell(near.id)
  }
  const insert = (id: string, where: 'above' | 'below'): void => {
    const above = cells()[at(id) - 1]?.id ?? null
    into(store.add('code', where === 'below' ? id : above))
  }
  const move = (id: string, step: 1 | -1): void => {
    void store.move(id, step)
    announce(words.cell.place(at(id) + 1, cells().length))
    queueMicrotask(() => focusCell(id)) // React has moved it by then, and no key comes between
  }
  const retype = (id: string, type: CellType): void => {
    focusCell(id) // its editor, which may have it, is another one
    void store.retype(id, type)
  }
  const travel = async (way: Promise<string | null>): Promise<void> => {
    const before = touched
    const id = await way
    requestAnimationFrame(() => {
      if (id !== null && touched === before) focusCell(boxOf(id) ? id : (cells().at(-1)?.id ?? id))
    })
  }

  const perform = (id: string, command: CellCommand): void => {
    const cell = store.cell(id)
    if (!cell) return
    switch (command) {
      case 'run':
        return run(id, 'stay')
      case 'runNext':
        return run(id, 'next')
      case 'runInsert':
        return run(id, 'insert')
      case 'runAbove':
        return void store.runAll(undefined, id)
      case 'runBelow':
        return void store.runAll(id)
      case 'insertAbove':
        return insert(id, 'above')
      case 'insertBelow':
        return insert(id, 'below')
      case 'duplicate':
        return onto(store.duplicate(id))
      case 'copy':
        return store.copy(id)
      case 'cut':
        store.copy(id)
        return remove(id)
      case 'paste':
        return onto(store.paste(id))
      case 'moveUp':
        return move(id, -1)
      case 'moveDown':
        return move(id, 1)
      case 'toText':
        return retype(id, 'markdown')
      case 'toCode':
        return retype(id, 'code')
      case 'toggleOutputs':
        return void store.hideOutputs(id, !outputsHidden(cell))
      case 'back':
        return void store.back(id)
      case 'branch':
        return cell.execution_id === null ? undefined : branch(cell.execution_id)
      case 'complete':
      case 'inspect':
        return withEditor(id, (content) => void askKernel(content, command))
      case 'explain':
        return ask(questionAbout(cell, at(id) + 1, 'explain'))
      case 'fix':
        return ask(questionAbout(cell, at(id) + 1, 'fix'))
      case 'delete':
        return remove(id)
      default:
        return never(command)
    }
  }
  const overall = (command: NotebookCommand): void => {
    switch (command) {
      case 'undo':
        return void travel(store.undo())
      case 'redo':
        return void travel(store.redo())
      case 'forth':
        return void store.forth()
      case 'runAll':
        return void store.runAll()
      case 'interrupt':
        return void store.interrupt()
      case 'restart':
        return void store.restart()
      case 'restartRunAll':
        return void store.restartAndRunAll()
      case 'addCode':
        return into(store.add('code'))
      case 'addText':
        return into(store.add('markdown'))
      default:
        return never(command)
    }
  }

  return {
    run,
    perform,
    overall,
    step: (id, step, where) => {
      const next = cells()[at(id) + step]
      if (!next) return false
      if (where === 'editor' && boxOf(next.id)?.querySelector('[data-editor]')) focusEditor(next.id)
      else focusCell(next.id)
      return true
    },
    goToFrame: (failed, count, line) => {
      const id = cellOfCount(cells(), failed, count)
      if (id === null) announce(words.cell.gone)
      else withEditor(id, (content) => goToLine(content, line))
    },
  }
}

/** Whether a command would do something to this cell now. */
export function applies(cell: CellView, command: CellCommand): boolean {
  switch (command) {
    case 'run':
    case 'runNext':
    case 'runInsert':
      return cell.type === 'code' && !isActive(cell.status)
    case 'runBelow':
    case 'complete':
    case 'inspect':
    case 'explain':
    case 'toText':
      return cell.type === 'code'
    case 'toCode':
      return cell.type === 'markdown'
    case 'branch':
      return cell.execution_id !== null && cell.execution_count !== null && !isActive(cell.status)
    case 'back':
      return cell.type === 'code' && cell.execution_id !== null && !cell.undone && !isActive(cell.status)
    case 'toggleOutputs':
      return cell.outputs.length > 0
    case 'fix':
      return cell.type === 'code' && cell.status !== null && cell.status !== 'ok' && !isActive(cell.status)
    default:
      return true
  }
}

// where the focus goes

/** How often a person has touched keys, pointer or wheel: who did so while the server was asked stays where they are. */
let touched = 0
for (const hand of ['keydown', 'pointerdown', 'wheel', 'touchmove']) addEventListener(hand, () => (touched += 1), { capture: true, passive: true })

export function boxOf(id: string): HTMLElement | null {
  return document.getElementById(`cell-${id}`)
}

export function focusCell(id: string): void {
  const box = boxOf(id)
  box?.focus({ preventScroll: true })
  if (box) reveal(box)
}

/** At once, and again until the cells around it are there and have their heights, unless a person does something meanwhile. */
function reveal(box: HTMLElement): void {
  const before = touched
  const look = (frames: number): void => {
    if (touched !== before) return
    box.scrollIntoView({ block: 'nearest', behavior: 'instant' })
    if (frames > 0) requestAnimationFrame(() => look(allThere() ? frames - 1 : FRAMES))
  }
  look(FRAMES)
}

/** How many the browser takes at most to tell that a cell is near. */
const FRAMES = 6

/** React draws a cell that was just added at the end of what happens now, or else soon. */
function onceDrawn(id: string, act: (box: HTMLElement) => void, tries = 60): void {
  const look = (left: number): void => {
    const box = boxOf(id)
    if (box) act(box)
    else if (left > 0) requestAnimationFrame(() => look(left - 1))
  }
  if (boxOf(id)) look(0)
  else queueMicrotask(() => look(tries))
}

export function focusEditor(id: string): void {
  withEditor(id, (content) => content.focus())
}

/** The editor of a cell, also of one that is made only when somebody wants it. */
function withEditor(id: string, act: (content: HTMLElement) => void): void {
  onceDrawn(id, (box) => wantEditor(box, act))
}
