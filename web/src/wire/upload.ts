// One file into a workspace, with progress; fetch cannot tell how far an upload is.
import { words } from '../core/words.ts'
import { ApiError, fileUrl, problem, unreachable } from './client.ts'

export interface Upload {
  /** Whether it has taken the place of a file of that name. */
  readonly done: Promise<boolean>
  readonly cancel: () => void
}

export function uploadFile(
  kernelId: string,
  file: File,
  onProgress: (sent: number, total: number) => void,
): Upload {
  const request = new XMLHttpRequest()
  const done = new Promise<boolean>((resolve, reject) => {
    request.open('PUT', fileUrl(kernelId, file.name))
    request.setRequestHeader('Content-Type', 'application/octet-stream')
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total)
    // A folder, or a file that is gone, cannot be read.
    const unread = new ApiError(0, { code: 'unreadable', message: words.server.unreadable })
    request.onerror = () => void file.slice(0, 1).arrayBuffer().then(() => reject(unreachable()), () => reject(unread))
    request.onabort = () => reject(new ApiError(0, { code: 'cancelled', message: words.server.uploadCancelled }))
    request.onload = () => {
      if (request.status < 300) resolve(request.status !== 201)
      else reject(problem(request.status, request.responseText))
    }
    request.send(file)
  })
  return { done, cancel: () => request.abort() }
}
