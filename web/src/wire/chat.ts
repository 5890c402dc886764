// The chat's transport: only the new message goes to the server, which holds the history.
import { DefaultChatTransport, type UIMessage } from 'ai'
import { alive } from './alive.ts'
import { failure, unreachable } from './client.ts'

export function chatTransport(model: () => Promise<string | null>): DefaultChatTransport<UIMessage> {
  return new DefaultChatTransport<UIMessage>({
    api: '/api/chat',
    fetch: refusing,
    prepareSendMessagesRequest: async ({ id, messages, trigger, messageId }) => {
      const chosen = await model()
      return { body: { id, messages: messages.slice(-1), trigger, messageId, ...(chosen === null ? {} : { model: chosen }) } }
    },
  })
}

/** Errors in the server's own words, instead of a body as text. */
async function refusing(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init).catch((error: unknown) => {
    throw error instanceof DOMException && error.name === 'AbortError' ? error : unreachable()
  })
  if (!response.ok) throw await failure(response)
  const { body, status, statusText, headers } = response
  return body === null ? response : new Response(alive(body), { status, statusText, headers })
}
