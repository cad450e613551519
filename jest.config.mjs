export default {
  testEnvironment: 'node',
  watchman: false,
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/tools/strip-types.mjs' },
  // Generous: tests wait for what happens, and a busy machine is no failure.
  testTimeout: 60_000,
  testMatch: ['<rootDir>/test/**/*.test.ts'],
}
