// The files of a workspace as a tree: directories first, each in order of its name, with what is in them summed.
import type { FileEntry } from '../wire/types.ts'

export interface Folder {
  readonly kind: 'folder'
  readonly path: string
  readonly name: string
  readonly children: readonly Node[]
  readonly files: number
  readonly size: number
}

export interface Leaf {
  readonly kind: 'file'
  readonly path: string
  readonly name: string
  readonly entry: FileEntry
}

export type Node = Folder | Leaf

export function tree(entries: readonly FileEntry[]): Folder {
  const below = new Map<string, FileEntry[]>()
  const folders = new Set<string>([''])
  for (const entry of entries) {
    if (entry.type === 'directory') folders.add(entry.path)
    else {
      const parent = parentOf(entry.path)
      below.set(parent, [...(below.get(parent) ?? []), entry])
    }
    for (let at = parentOf(entry.path); at !== ''; at = parentOf(at)) folders.add(at)
  }
  return folder('', [...folders], below)
}

function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}

/** As it is shown: characters that turn the direction of a text would make `evil.txt` look like `txt.live`. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/[\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}

function folder(path: string, folders: readonly string[], below: ReadonlyMap<string, readonly FileEntry[]>): Folder {
  const inner = folders.filter((one) => one !== '' && parentOf(one) === path).map((one) => folder(one, folders, below))
  const own = (below.get(path) ?? []).map((entry): Leaf => ({ kind: 'file', path: entry.path, name: nameOf(entry.path), entry }))
  const by = (a: Node, b: Node): number => a.name.localeCompare(b.name, 'en', { numeric: true })
  return {
    kind: 'folder',
    path,
    name: nameOf(path),
    children: [...inner.sort(by), ...own.sort(by)],
    files: own.length + inner.reduce((sum, one) => sum + one.files, 0),
    size: own.reduce((sum, one) => sum + one.entry.size, 0) + inner.reduce((sum, one) => sum + one.size, 0),
  }
}

export interface Row {
  readonly node: Node
  readonly depth: number
}

/** What is seen of it with these folders shut. */
export function rows(root: Folder, shut: ReadonlySet<string>, depth = 0): readonly Row[] {
  return root.children.flatMap((node): readonly Row[] => {
    const row = { node, depth }
    return node.kind === 'folder' && !shut.has(node.path) ? [row, ...rows(node, shut, depth + 1)] : [row]
  })
}

export type Preview = 'image' | 'audio' | 'video' | 'table' | 'notebook' | 'text' | 'none'

const KINDS: readonly (readonly [RegExp, Preview])[] = [
  [/\.(png|jpe?g|gif|webp|svg|bmp|ico)$/i, 'image'],
  [/\.(wav|mp3|ogg|oga|flac|m4a)$/i, 'audio'],
  [/\.(mp4|webm|ogv)$/i, 'video'],
  [/\.(csv|tsv)$/i, 'table'],
  [/\.ipynb$/i, 'notebook'],
  [/\.(parquet|feather|arrow|xlsx?|ods|pkl|pickle|npy|npz|zip|gz|bz2|xz|zst|tar|7z|pdf|db|sqlite3?|so|bin|woff2?|ttf|docx?|pptx?|h5|hdf5|joblib|pt|onnx)$/i, 'none'],
]

/** How a file can be looked at, by its name. */
export function previewOf(path: string): Preview {
  return KINDS.find(([pattern]) => pattern.test(path))?.[1] ?? 'text'
}
