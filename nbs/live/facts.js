globalThis.liveFacts=null
