// needs: redis, moto
import { start } from '../components.ts'
import { sqsWay } from './sqs-way.ts'

sqsWay('with BullMQ on Redis', () => start('redis'))
