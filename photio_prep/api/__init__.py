"""Talk to the Photio Instant API: build a Request, send it at most once, parse the answer. The only paid package.

request         build and validate a Request; seeds, negative prompts
language        guess the language of a scene description
wire            the JSON of requests and answers; the order key; a request as a curl command
client          InstantClient: one paid call with evidence-based retries
retry           classify an attempt; whether and when it may be repeated; shared pacing after HTTP 429 and 503
transport       requests session without retries, redirects, keep-alive or environment
key             the API key, which never prints; redaction of all its encodings
credentials     find the key: file, standard input, keyring, environment; which addresses may get it
spending_guard  Sender wrapper: call budget, stop after fatal errors
"""
