// A stream that has gone silent is a broken one: the server says something every 15 seconds, and a machine that has slept
// is not told that its connections are gone.
import { unreachable } from './client.ts'

/** Milliseconds: two pings lost, and some patience. */
const SILENCE = 40_000

/** The same bytes, which end in an error when none come for too long. */
export function alive(body: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader()
  let timer: ReturnType<typeof setTimeout> | undefined
  return new ReadableStream({
    async pull(controller) {
      const silence = new Promise<never>((_, fail) => {
        timer = setTimeout(() => fail(unreachable()), SILENCE)
      })
      try {
        const { done, value } = await Promise.race([reader.read(), silence])
        if (done) controller.close()
        else controller.enqueue(value)
      } catch (error) {
        controller.error(error)
        void reader.cancel(error).catch(() => {})
      } finally {
        clearTimeout(timer)
      }
    },
    cancel(reason) {
      clearTimeout(timer)
      return reader.cancel(reason)
    },
  })
}
