import { storeSuite } from '../../suite/store.ts'
import { s3Ground } from './bucket.ts'

// Of the nastiest names, those with `//`, `.` and `..`, no real component keeps all: they are asked of the fake.
storeSuite('MinIO with versions', () => s3Ground('minio', true), { many: 1_050, nastier: ['c\u0001x'] })
storeSuite('MinIO without versions', () => s3Ground('minio', false), { many: 1_050 })
storeSuite('versitygw with versions', () => s3Ground('versitygw', true), { many: 1_050 })
storeSuite('moto with versions', () => s3Ground('moto', true), { many: 1_050, refuses: ['line\nbreak'] })
