import { svelte } from "@sveltejs/vite-plugin-svelte";
import { svelteTesting } from "@testing-library/svelte/vite";
import { defineConfig } from "vitest/config";

// The app ships the production build. `--mode fake` builds the same pages over the scripted backend.
export default defineConfig(({ mode }) => ({
  plugins: [svelte(), svelteTesting()],
  build: {
    target: ["safari16", "chrome110"],
    outDir: mode === "fake" ? "dist-fake" : "dist",
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  clearScreen: false,
  // A bound for what hangs, not for what is slow on a busy machine.
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
}));
