export default {
  testEnvironment: 'node',
  watchman: false,
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/tools/strip-types.mjs' },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
}
