// An id nobody has; `randomUUID` is only there for pages that came over HTTPS or loopback.
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
