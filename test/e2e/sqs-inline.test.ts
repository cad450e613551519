// needs: moto
import { sqsWay } from './sqs-way.ts'

sqsWay('with the inline queue', async () => ({ url: 'inline', stop: async () => undefined }))
