"""The language of access, pure: who asks, what a bucket says about it, and the one decision.

::

    Requester ── who signed, by every name that a policy or a grant may use   principals
        │
        │   action: what the operation asks to do                             actions
        ▼
    decide ◄── BucketFacts: owner, ownership, ACL, policy, block              decision
        │          policy    statements ◄─ patterns, conditions ◄─ context
        │          ACL       grants, canned ACLs, groups                      grants
        │          ownership whether ACLs count, whose a new object is        ownership
        │          block     what is public, and the four switches            block
        │      ◄── ObjectFacts: owner, ACL; its tags in the Context
        ▼
    None: allowed, or the reason of the denial

It reads documents and decides; it stores nothing, and knows neither files nor HTTP. What it does
not enforce it refuses when the document is put. What it finds stored and cannot enforce closes the
bucket to all but its owner.
"""
