"""The event loop in front of gunicorn's threads.

A connection occupies no thread before its request is complete, nor while its client does not read
the answer.

    loop         reads, passes complete requests to threads, sends, ends slow connections
    listeners    accepts connections
    connections  one connection: the received part of its request, and the parser for gunicorn
    threads      the threads that answer requests, and check heads before the body has arrived
    batches      the thread that answers ordinary envelopes in batches
    places       how many connections there may be, and which one loses its place
    framing      finds where a head and a chunked body end
    answers      the output of a thread: sent at once, the rest kept for the loop to send
    limits       the deadlines, and how many bytes are kept for each peer

gunicorn's parser reads every head and every body. Nothing here interprets a header by itself.
"""
