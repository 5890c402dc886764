// The page and the frame of untrusted outputs, built into the package; nothing is inlined, so a strict CSP can hold.
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    outDir: '../src/cellblock/static',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 6000,
    rollupOptions: { input: { index: 'index.html', frame: 'frame.html' } },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
