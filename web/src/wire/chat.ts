// The chat's transport: only the new message goes to the server, which holds the history.
import { DefaultChatTransport, type UIMessage } from 'ai'
import { alive } from './alive.ts'
import { failure, unreachable } from './client.ts'

export function chatTransport(model: () => string | null): DefaultChatTransport<UIMessage> {
  return new DefaultChatTransport<UIMessage>({
    api: '/api/chat',
    fetch: refusing,
    prepareSendMessagesRequest: ({ id, messages, trigger, messageId }) => ({
      body: { id, messages: messages.slice(-1), trigger, messageId, ...(model() === null ? {} : { model: model() }) },
    }),
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
