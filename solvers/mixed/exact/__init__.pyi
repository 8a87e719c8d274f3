from .proof import prove as prove
