// Branches of a conversation: made, and where the state is not kept, made afresh if a person wants that.
import { useCallback, useState, type ReactNode } from 'react'
import { words } from '../core/words.ts'
import { Confirm } from '../ui/dialog.tsx'
import { announce } from '../ui/live.tsx'
import * as api from '../wire/client.ts'
import type { NewBranch } from '../wire/types.ts'

const say = words.branch

/** What makes a branch, and the question it may have. */
export function useBranching(
  id: string,
  onMade: (branch: NewBranch) => void,
  onProblem: (problem: api.ApiError) => void,
): readonly [(point: api.BranchPoint) => void, ReactNode] {
  const [refused, setRefused] = useState<{ readonly point: api.BranchPoint; readonly why: string } | null>(null)
  const begin = useCallback(
    (point: api.BranchPoint): void => {
      announce(say.making)
      api.branchConversation(id, point).then(onMade, (error: unknown) => {
        const problem = error instanceof api.ApiError ? error : api.unreachable()
        if (problem.code === 'no_state') setRefused({ point, why: problem.message })
        else onProblem(problem)
      })
    },
    [id, onMade, onProblem],
  )
  const question = refused && (
    <Confirm
      question={say.notKept}
      detail={`${refused.why} ${say.freshAbout}`}
      action={say.fresh}
      look="accent"
      onConfirm={() => begin({ ...refused.point, fresh: true })}
      onClose={() => setRefused(null)}
    />
  )
  return [begin, question]
}
