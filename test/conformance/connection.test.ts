import { everyConnection } from './every-connection.ts'
import { TRANSPORTS } from './support/transports.ts'

for (const transport of TRANSPORTS) everyConnection(transport)
