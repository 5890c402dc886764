import { lazy, StrictMode, Suspense } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import './styles.css'

const SharedPage = lazy(async () => ({ default: (await import('./shared/page.tsx')).SharedPage }))

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    {location.pathname === '/shared' ? (
      <Suspense>
        <SharedPage />
      </Suspense>
    ) : (
      <App />
    )}
  </StrictMode>,
)
