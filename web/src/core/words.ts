// Every English word the page says of itself, by where it is said. Whatever is made of parts is a function of them.

export const words = {
  share: {
    command: 'Share a read-only copy',
    title: 'Share a read-only copy',
    about:
      'A link shows this conversation and its notebook as they are now. Files are not in it, and what you do later does not appear. Whoever has the link can read the copy, until you revoke the link.',
    make: 'Make a link',
    making: 'Making a link…',
    made: 'The link is made. It is shown only this once.',
    address: 'Link to the copy',
    copy: 'Copy the link',
    copied: 'Copied',
    here: 'The address you use is this machine’s own: others need one by which they can reach this server.',
    links: 'Links that are open',
    none: 'No link is open.',
    madeAt: (when: string) => `Made ${when}`,
    revoke: 'Revoke',
    revokeOne: (when: string) => `Revoke the link made ${when}`,
    revoked: 'The link is revoked.',
    close: 'Close',
  },
  shared: {
    label: 'Read-only copy',
    from: (when: string) => `Read-only copy, made ${when}`,
    missing: 'Nothing is shared here',
    again: 'Try again',
    chat: 'Chat',
    notebook: 'Notebook',
    view: 'View',
    untitled: 'Shared conversation',
    nothingAsked: 'Nothing was asked in this conversation.',
    noCells: 'This notebook has no cells.',
    cell: (position: number, code: boolean) => `Cell ${position}, ${code ? 'code' : 'text'}`,
    run: (count: number) => `Run ${count}`,
    notRun: 'Not run',
  },
} as const
